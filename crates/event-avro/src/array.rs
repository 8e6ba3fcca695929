//! Arrays of `["null", T]`.

use change::{Array, Element, Value};

use crate::encode::put;
use crate::wire::{self, BRANCH_0, BRANCH_1};

/// Appends an array: one block, if there is anything, and the end. False if an element is not of the declared form.
pub(crate) fn put_array(out: &mut Vec<u8>, element: Element, array: Array<'_>) -> bool {
    if !array.is_empty() {
        wire::count(out, array.len());
    }
    let form = element.form();
    let fits = array.iter().all(|value| match value {
        Value::Null => {
            out.push(BRANCH_0);
            true
        }
        value => {
            out.push(BRANCH_1);
            put(out, form, &value)
        }
    });
    out.push(0);
    fits
}
