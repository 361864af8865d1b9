// --help, from the table.
import { type CommandName, type CommandTable, commands } from './commands.js';
import { styleFor, table } from './terminal.js';

function wrap(text: string, width = 80): string {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const line = lines[lines.length - 1]!;
    if (line && line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line ? `${line} ${word}` : word;
  }
  return lines.join('\n');
}

const indent = (text: string): string => text.replace(/^(?=.)/gm, '  ');

/** `-l, --listen ADDRESS` */
function optionSpelling(name: string, { short, value }: { short?: string; value?: string }): string {
  return `${short ? `-${short}, ` : '    '}--${name}${value ? ` ${value}` : ''}`;
}

export function commandHelp(name: CommandName): string {
  const command: CommandTable = commands[name];
  const { bold, dim } = styleFor(1);
  const parts = [
    `${bold('Usage:')} listenfds ${name} ${command.usage}`,
    ...command.description.map((paragraph) => wrap(paragraph)),
    `${bold('Options:')}\n${indent(table(Object.entries(command.options).map(([option, row]) => [optionSpelling(option, row), row.help])))}`.trimEnd(),
    `${bold('Examples:')}\n${indent(command.examples.map(([line, what]) => `${line}\n  ${dim(what)}`).join('\n'))}`,
    `${bold('Exit status:')}\n${indent(table(command.exit))}`.trimEnd(),
  ];
  return `${parts.join('\n\n')}\n`;
}

export function generalHelp(): string {
  const { bold } = styleFor(1);
  const rows = Object.entries(commands).map(([name, { summary }]) => [bold(name), summary]);
  return [
    `${bold('Usage:')} listenfds COMMAND [OPTION]...`,
    'Socket activation for Node.js, on the command line.',
    `${bold('Commands:')}\n${indent(table(rows))}`.trimEnd(),
    `${bold('Options:')}\n  -h, --help     Show this help; listenfds COMMAND --help shows that of a command\n  -V, --version  Show the version`,
    `${bold('Example:')}\n  listenfds run -l 3000 -- node app.js\n`,
  ].join('\n\n');
}
