//! Subjects: the names under which a registry keeps the versions of one schema.

/// Which half of a record a schema describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    Key,
    Value,
}

/// The topic name strategy, which readers assume unless told otherwise: `<topic>-key` and `<topic>-value`.
///
/// The other usual ones (`<record>`, `<topic>-<record>`) would be functions of the record's name as well.
pub fn subject(topic: &str, part: Part) -> String {
    match part {
        Part::Key => format!("{topic}-key"),
        Part::Value => format!("{topic}-value"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, subject};

    #[test]
    fn follows_the_topic() {
        assert_eq!(subject("shop.public.orders", Part::Key), "shop.public.orders-key");
        assert_eq!(subject("shop.public.orders", Part::Value), "shop.public.orders-value");
    }
}
