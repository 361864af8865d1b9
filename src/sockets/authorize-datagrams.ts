// authorizeDatagrams(): who may send datagrams, by the credentials that the kernel attaches to each.
import type { EventEmitter } from 'node:events';
import {
  type Authorization,
  type AuthorizationLists,
  RuleInForce,
  type SenderCredentials,
} from '../admit/authorize.js';
import { countRefusal, publishRefusal } from '../admit/gate.js';
import { binding } from '../system/addon.js';
import { replaceMethod } from '../system/replace.js';

/** Lists, or a function, for datagrams. */
export type DatagramAuthorizationRule = AuthorizationLists | ((credentials: SenderCredentials) => boolean);

/** The facts about one message of a datagram socket. */
interface MessageInfo {
  readonly credentials?: SenderCredentials | null;
  readonly fds?: readonly number[] | null;
}

/**
 * Lets only datagrams pass whose sender the rule allows, going by the credentials that the kernel attaches to each
 * (SCM_CREDENTIALS, PassCredentials=). All others, also those without credentials, are dropped before the 'message'
 * event, the descriptors in them closed; they are counted and published as with authorize().
 *
 * A datagram carries no supplementary groups: `gids` and `groups` are compared with the sender's primary group.
 *
 * @throws as authorize()
 */
export function authorizeDatagrams(
  socket: EventEmitter,
  rule: DatagramAuthorizationRule,
): Authorization<DatagramAuthorizationRule> {
  const inForce = new RuleInForce(rule);
  const refusedBy: Record<string, number> = {};
  const { emit } = socket;
  replaceMethod(socket, 'emit', function (this: EventEmitter, event: string | symbol, ...args: unknown[]): boolean {
    if (event !== 'message') return Reflect.apply(emit, this, [event, ...args]);
    const info = (args[1] ?? {}) as MessageInfo;
    const refusal = inForce.refusal(() => {
      if (!info.credentials) throw new Error('the message has no credentials (PassCredentials=)');
      return info.credentials;
    });
    if (refusal === null) return Reflect.apply(emit, this, [event, ...args]);
    for (const fd of info.fds ?? []) binding().closeElsewhere(fd);
    publishRefusal({ server: socket, socket: null, ...refusal, count: countRefusal(refusedBy, refusal.reason) });
    return true;
  });
  return inForce;
}
