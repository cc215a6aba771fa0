/** `npm run example -- NAME [ARG…]`: runs an example by its name. */
import { readdirSync } from 'node:fs';
import process from 'node:process';

const helpers = ['run', 'print', 'watched'];
const names = readdirSync(new URL('.', import.meta.url))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -3))
  .filter((name) => !helpers.includes(name));
const [name = ''] = process.argv.splice(2, 1);

if (names.includes(name)) await import(`./${name}.ts`);
else {
  process.stderr.write(`there is no example '${name}': npm run example -- ${names.join('|')}\n`);
  process.exitCode = 2;
}
