export const targets: Readonly<Record<string, string>>;
export function inputs(target: string): string[];
export function compile(target: string, program: string, options: { fuzzer: boolean }): void;
