// Processes that the test has not started itself: nothing tells of their end.
import { readFileSync } from 'node:fs';

/** Whether it has not ended. One that nobody has waited for yet (a zombie, proc(5)) has. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Waits until it has ended. */
export async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
}
