// Completion scripts for bash, zsh and fish, from the table.
import { errorTable } from '../system/errors.js';
import { type CommandLine, UsageError } from './command-line.js';
import { type CommandTable, type OptionTable, commands } from './commands.js';
import { write } from './terminal.js';

const all = Object.entries(commands) as [string, CommandTable][];
const options = (command: CommandTable): [string, OptionTable][] => Object.entries(command.options);
const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

const unitsAndProcesses = [
  'systemctl list-units --all --plain --no-legend --type=service,socket 2>/dev/null | cut -d" " -f1',
  'pgrep node 2>/dev/null',
].join('; ');

/** The words behind the options; the codes of errors are not loaded for anything else. */
function operandsOf({ operands }: CommandTable): Exclude<CommandTable['operands'], 'error code'> {
  return operands === 'error code' ? Object.keys(errorTable()) : operands;
}

function bash(): string {
  const spellings = (command: CommandTable): string =>
    options(command)
      .flatMap(([name, { short }]) => [`--${name}`, ...(short ? [`-${short}`] : [])])
      .join(' ');
  const value = ([name, { short, complete }]: [string, OptionTable]): string => {
    const pattern = `--${name}${short ? `|-${short}` : ''}`;
    const reply =
      complete === 'file'
        ? 'compgen -f -- "$word"'
        : complete === 'directory'
          ? 'compgen -d -- "$word"'
          : `compgen -W ${quote((complete ?? []).join(' '))} -- "$word"`;
    return `        ${pattern}) COMPREPLY=($(${reply})); return ;;`;
  };
  const operands = (command: CommandTable): string => {
    const what = operandsOf(command);
    if (what === 'command') return 'compgen -c -- "$word"';
    if (what === 'process or unit') return `compgen -W "$(${unitsAndProcesses})" -- "$word"`;
    return `compgen -W ${quote(what.join(' '))} -- "$word"`;
  };
  const cases = all.map(([name, command]) =>
    [
      `    ${name})`,
      '      case $previous in',
      ...options(command)
        .filter(([, { value: takes }]) => takes)
        .map(value),
      '      esac',
      `      if [[ $word == -* ]]; then COMPREPLY=($(compgen -W ${quote(spellings(command))} -- "$word"))`,
      `      else COMPREPLY=($(${operands(command)})); fi ;;`,
    ].join('\n'),
  );
  return `# bash completion for listenfds
_listenfds() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} i
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W ${quote([...all.map(([name]) => name), '--help', '--version'].join(' '))} -- "$word"))
    return
  fi
  for ((i = 2; i < COMP_CWORD; i++)); do
    if [[ \${COMP_WORDS[i]} == -- ]]; then
      if ((i + 1 == COMP_CWORD)); then COMPREPLY=($(compgen -c -- "$word")); else COMPREPLY=($(compgen -f -- "$word")); fi
      return
    fi
  done
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac
}
complete -o default -F _listenfds listenfds
`;
}

function zsh(): string {
  const plain = (text: string): string => text.replace(/[[\]:\\]/g, '\\$&');
  const specification = ([name, { short, value, help, complete }]: [string, OptionTable]): string => {
    const action =
      complete === 'file'
        ? '_files'
        : complete === 'directory'
          ? '_files -/'
          : complete
            ? `(${complete.join(' ')})`
            : '';
    const behind = `[${plain(help)}]${value ? `:${plain(value)}:${action}` : ''}`;
    return [`--${name}`, ...(short ? [`-${short}`] : [])].map((spelled) => quote(`*${spelled}${behind}`)).join(' ');
  };
  const operands = (command: CommandTable): string => {
    const what = operandsOf(command);
    if (what === 'command') return `'(-)1:command:_command_names -e' '*::arguments:_normal'`;
    if (what === 'process or unit') return `"1:process or unit:($(${unitsAndProcesses.replaceAll('"', '\\"')}))"`;
    return quote(`1:shell:(${what.join(' ')})`);
  };
  return `#compdef listenfds
_listenfds() {
  local state line
  _arguments -C '(- *)'{-h,--help}'[Show help]' '(- *)'{-V,--version}'[Show the version]' '1:command:->command' '*::argument:->argument'
  case $state in
    command) local -a known=(
${all.map(([name, { summary }]) => `      ${quote(`${name}:${summary}`)}`).join('\n')}
      ); _describe command known ;;
    argument) case $line[1] in
${all.map(([name, command]) => `      ${name}) _arguments -S ${[...options(command).map(specification), operands(command)].join(' ')} ;;`).join('\n')}
    esac ;;
  esac
}
if [[ $funcstack[1] == _listenfds ]]; then _listenfds "$@"; else compdef _listenfds listenfds; fi
`;
}

function fish(): string {
  const lines = ['# fish completion for listenfds', 'complete -c listenfds -f'];
  const names = all.map(([name]) => name).join(' ');
  const first = `not __fish_seen_subcommand_from ${names}`;
  lines.push(`complete -c listenfds -n ${quote(first)} -s V -l version -d 'Show the version'`);
  for (const [name, command] of all) {
    const within = quote(`__fish_seen_subcommand_from ${name}`);
    lines.push(`complete -c listenfds -n ${quote(first)} -a ${name} -d ${quote(command.summary)}`);
    for (const [option, { short, value, help, complete }] of options(command)) {
      const what =
        complete === 'file' || complete === 'directory' ? ' -F' : complete ? ` -a ${quote(complete.join(' '))}` : '';
      lines.push(
        `complete -c listenfds -n ${within}${short ? ` -s ${short}` : ''} -l ${option}${value ? ' -r' : ''}${what} -d ${quote(help)}`,
      );
    }
    const what = operandsOf(command);
    if (what === 'command') lines.push(`complete -c listenfds -n ${within} -a '(__fish_complete_subcommand)'`);
    else if (what === 'process or unit')
      lines.push(`complete -c listenfds -n ${within} -a ${quote(`(${unitsAndProcesses})`)}`);
    else lines.push(`complete -c listenfds -n ${within} -a ${quote(what.join(' '))}`);
  }
  return `${lines.join('\n')}\n`;
}

const scripts: Readonly<Record<string, () => string>> = { bash, zsh, fish };

export function completion({ operands: [shell = '', ...rest] }: CommandLine): number {
  if (rest.length > 0 || !Object.hasOwn(scripts, shell))
    throw new UsageError('for which shell?', 'one of bash, zsh, fish');
  write(1, scripts[shell]!());
  return 0;
}
