// Sphinx fetches each page that it found, for an excerpt; from a disk a browser forbids that. The texts are here already.
{
  const root = new URL(document.documentElement.dataset.content_root, location.href).href;
  const elsewhere = window.fetch;
  window.fetch = (address) => {
    const name = decodeURIComponent(new URL(address, location.href).href).replace(decodeURIComponent(root), "");
    const text = TEXTS[name.replace(/\.html$/, "")];
    return text === undefined ? elsewhere(address) : Promise.resolve(new Response(`<div role="main">${text}</div>`));
  };
}
