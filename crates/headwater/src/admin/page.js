// Fetches the page again and puts its content in place; says so when the process does not answer.
setInterval(async () => {
  try {
    const answer = await fetch('/', { cache: 'no-store' });
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
    document.querySelector('main').replaceWith(fresh.querySelector('main'));
    document.title = fresh.title;
    document.getElementById('lost').textContent = '';
  } catch {
    document.getElementById('lost').textContent = ' · no answer since ' + new Date().toLocaleTimeString();
  }
}, 2000);
