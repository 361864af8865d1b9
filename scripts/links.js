// The links of README.md as they are published: what is not in the package is in the repository, if package.json says where that
// is. Else a link would lead nowhere on a registry's page and in node_modules, so its words alone are left, and of the list of links at
// the end nothing.

/**
 * @param {string} text Markdown
 * @param {(path: string) => boolean} isPacked
 * @param {{ version: string, repository?: { url: string } }} manifest
 * @returns {string}
 */
export function publishLinks(text, isPacked, { version, repository }) {
  const home = repository?.url.replace(/^git\+|\.git$/g, '');
  const links = /(!?)\[([^\]]*)\]\((?!https?:|#)([^)\s]+)\)/g;
  const shown = home ? text : text.replace(/^## More\n[^]*^(?=MIT)/m, '');
  return shown.replace(links, (link, image, words, target) => {
    if (isPacked(target.split('#')[0])) return link;
    if (home) return `${image}[${words}](${home}/${image ? 'raw' : 'blob'}/v${version}/${target})`;
    return image ? '' : words;
  });
}
