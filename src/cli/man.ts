// listenfds(1), from the table; build.js writes it into dist/.
import { type CommandTable, commands } from './commands.js';

/** Text for roff, groff_man(7): every hyphen may be part of something to type. */
const roff = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replace(
      /[^\x20-\x7e\n]/gu,
      (character) => `\\[u${character.codePointAt(0)!.toString(16).padStart(4, '0').toUpperCase()}]`,
    )
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');

const bold = (text: string): string => `\\fB${roff(text)}\\fR`;

function section(name: string, command: CommandTable): string[] {
  const lines = [
    `.SH ${roff(`listenfds ${name}`.toUpperCase())}`,
    `.SY "${roff(`listenfds ${name}`)}"`,
    roff(command.usage),
    '.YS',
  ];
  for (const paragraph of command.description) lines.push('.PP', roff(paragraph));
  lines.push('.SS Options');
  for (const [option, { short, value, help }] of Object.entries(command.options)) {
    const spelled = [...(short ? [`-${short}`] : []), `--${option}`].map(bold).join(', ');
    lines.push('.TP', `${spelled}${value ? ` \\fI${roff(value)}\\fR` : ''}`, `${roff(help)}.`);
  }
  lines.push('.SS Examples');
  for (const [line, what] of command.examples) lines.push('.TP', bold(line), `${roff(what)}.`);
  lines.push('.SS Exit status');
  for (const [status, when] of command.exit) lines.push('.TP', roff(status), `${roff(when)}.`);
  return lines;
}

export function manPage(version: string): string {
  const all = Object.entries(commands) as [string, CommandTable][];
  return [
    `.TH LISTENFDS 1 "" "listenfds ${version}" "User Commands"`,
    '.SH NAME',
    'listenfds \\- socket activation for Node.js, on the command line',
    '.SH SYNOPSIS',
    ...all.flatMap(([name, { usage }]) => [`.SY "${roff(`listenfds ${name}`)}"`, roff(usage), '.YS']),
    '.SH DESCRIPTION',
    ...all.flatMap(([name, { summary }]) => ['.TP', bold(`listenfds ${name}`), `${roff(summary)}.`]),
    ...all.flatMap(([name, command]) => section(name, command)),
    '.SH ENVIRONMENT',
    '.TP',
    bold('NO_COLOR'),
    'No colours. FORCE_COLOR asks for colours even if the output is not a terminal.',
    '.SH SEE ALSO',
    '.BR systemd.socket (5),',
    '.BR systemd\\-socket\\-activate (1),',
    '.BR sd_listen_fds (3),',
    '.BR sd_notify (3)',
    '',
  ].join('\n');
}
