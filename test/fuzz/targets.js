// What is fuzzed: the part of native/ that reads what comes from outside, each file of it without Node-API.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

const checkout = resolve(import.meta.dirname, '../..');

/** Target, a file in this folder → the source in native/ that it tries. */
export const targets = {
  'read-address': 'socket-address.cc',
  'write-address': 'socket-address.cc',
  control: 'control.cc',
  'accept-queue-answer': 'accept-queue-answer.cc',
};

/** What each run begins with: valid input, and in cases/ what once was an error. */
export function inputs(target) {
  return ['seeds', 'cases']
    .map((folder) => join(import.meta.dirname, folder, target))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((file) => join(folder, file)));
}

/** Compiles a target with the sanitizers: with libFuzzer, or to replay files. */
export function compile(target, program, { fuzzer }) {
  const sanitizers = `-fsanitize=address,undefined${fuzzer ? ',fuzzer' : ''}`;
  const command = fuzzer ? 'clang++' : 'g++';
  const sources = [join(import.meta.dirname, `${target}.cc`), join(checkout, 'native', targets[target])];
  if (!fuzzer) sources.push(join(import.meta.dirname, 'replay.cc'));
  const flags = ['-std=c++17', '-O1', '-g', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror'];
  const { status, stderr } = spawnSync(
    command,
    [...flags, sanitizers, '-fno-sanitize-recover=all', `-I${join(checkout, 'native')}`, ...sources, '-o', program],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`${command} cannot compile ${target}:\n${stderr}`);
}
