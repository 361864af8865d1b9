// The README as it is published.
import t from 'tap';
import { publishLinks } from '../../scripts/links.js';

const text =
  'See [how](docs/how.md#why), [changes](CHANGELOG.md), [top](#top) and [Node](https://nodejs.org).\n![A picture](docs/a.svg)\n## More\n\n- [How](docs/how.md)\n\nMIT licence.\n';
const isPacked = (path: string) => path === 'CHANGELOG.md';

t.test(
  'without a repository, a link to a file that is not packed is its words alone, and the list of links is left out',
  async (t) => {
    t.equal(
      publishLinks(text, isPacked, { version: '1.2.3' }),
      'See how, [changes](CHANGELOG.md), [top](#top) and [Node](https://nodejs.org).\n\nMIT licence.\n',
    );
  },
);

t.test('with a repository it leads to the file of this version', async (t) => {
  const repository = { url: 'git+https://example.org/a/b.git' };
  t.equal(
    publishLinks(text, isPacked, { version: '1.2.3', repository }),
    'See [how](https://example.org/a/b/blob/v1.2.3/docs/how.md#why), [changes](CHANGELOG.md), [top](#top) and [Node](https://nodejs.org).\n' +
      '![A picture](https://example.org/a/b/raw/v1.2.3/docs/a.svg)\n## More\n\n- [How](https://example.org/a/b/blob/v1.2.3/docs/how.md)\n\nMIT licence.\n',
  );
});
