// The options of every public call: its table, and the interface that types and documents it.
import ts from 'typescript';
import { join } from 'node:path';
import { authorizationLists } from '../../src/admit/authorize.ts';
import { peerCredentialsOptions } from '../../src/admit/peer.ts';
import { removeStoredFdsOptions, storeFdsOptions } from '../../src/manager/fd-store.ts';
import { notifyBarrierOptions } from '../../src/manager/barrier.ts';
import { notifyOptions } from '../../src/manager/notify.ts';
import { startWatchdogOptions, watchdogOptions } from '../../src/manager/watchdog.ts';
import { drainOptions } from '../../src/service/drain.ts';
import { serveOptions, upgradeTriggerOptions } from '../../src/service/options.ts';
import { upgradeOptions } from '../../src/service/upgrade.ts';
import { datagramOptions, datagramSendOptions } from '../../src/sockets/datagram.ts';
import { fifoOptions } from '../../src/sockets/fifo.ts';
import { messageQueueOptions } from '../../src/sockets/message-queue.ts';
import { netlinkDestinationOptions, netlinkOptions } from '../../src/sockets/netlink.ts';
import { sequentialPacketOptions, sequentialPacketTargetOptions } from '../../src/sockets/sequential-packet.ts';
import { specialOptions } from '../../src/sockets/special.ts';
import { listenFdsOptions } from '../../src/take/listen-fds.ts';
import { listenOptions } from '../../src/take/target.ts';
import { stateFields } from '../../src/text/notify-state.ts';
import type { Table } from '../../src/text/options.ts';
import { root } from './activate.ts';

/** Heading of docs/options.md → table, interface. */
export const calls: readonly [heading: string, table: Table, type: string][] = [
  ['listenFds', listenFdsOptions, 'ListenFdsOptions'],
  ['listen', listenOptions, 'ListenTarget'],
  ['serve', serveOptions, 'ServeOptions'],
  ['serve-upgrade', upgradeTriggerOptions, 'UpgradeTrigger'],
  ['drain', drainOptions, 'DrainOptions'],
  ['upgrade', upgradeOptions, 'UpgradeOptions'],
  ['notify-state', stateFields(), 'NotifyState'],
  ['notify', notifyOptions, 'NotifyOptions'],
  ['notifyBarrier', notifyBarrierOptions, 'NotifyBarrierOptions'],
  ['watchdogEnabled', watchdogOptions, 'WatchdogOptions'],
  ['startWatchdog', startWatchdogOptions, 'StartWatchdogOptions'],
  ['storeFds', storeFdsOptions, 'StoreFdsOptions'],
  ['removeStoredFds', removeStoredFdsOptions, 'StoreFdsOptions'],
  ['peerCredentials', peerCredentialsOptions, 'PeerCredentialsOptions'],
  ['authorize', authorizationLists, 'AuthorizationLists'],
  ['listenDatagram', datagramOptions, 'DatagramTarget'],
  ['datagram-send', datagramSendOptions, 'DatagramSendOptions'],
  ['listenSequentialPacket', sequentialPacketTargetOptions, 'SequentialPacketTarget'],
  ['connectSequentialPacket', sequentialPacketOptions, 'SequentialPacketOptions'],
  ['listenFifo', fifoOptions, 'FifoTarget'],
  ['listenSpecial', specialOptions, 'SpecialTarget'],
  ['listenNetlink', netlinkOptions, 'NetlinkTarget'],
  ['netlink-send', netlinkDestinationOptions, 'NetlinkDestination'],
  ['listenMessageQueue', messageQueueOptions, 'MessageQueueTarget'],
];

/** What the TSDoc of an option says. */
export interface Documented {
  readonly text: string;
  readonly default: string | null;
  /** The type, as TypeScript writes it. */
  readonly type: string;
}

const plain = (parts: ts.SymbolDisplayPart[] | undefined): string =>
  ts
    .displayPartsToString(parts)
    .replaceAll(/\{@link (?:[^}|]*[|.])?([^}]+)\}/g, '$1')
    .replaceAll(/\s+/g, ' ')
    .trim();

/** Reads the TSDoc of every option of the interfaces that the package exports. */
export function documentation(): Map<string, Map<string, Documented>> {
  const entries = ['index.ts', 'sockets.ts'].map((name) => join(root, 'src', name));
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile).config as { compilerOptions: object };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  const program = ts.createProgram(entries, { ...options, noEmit: true });
  const checker = program.getTypeChecker();
  const found = new Map<string, Map<string, Documented>>();
  for (const entry of entries) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(entry)!)!;
    for (const exported of checker.getExportsOfModule(module)) {
      const type = checker.getDeclaredTypeOfSymbol(
        exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported,
      );
      const properties = new Map<string, Documented>();
      for (const property of type.getProperties()) {
        const tag = property.getJsDocTags(checker).find(({ name }) => name === 'default');
        properties.set(property.name, {
          text: plain(property.getDocumentationComment(checker)),
          default: tag ? plain(tag.text) : null,
          type: checker.typeToString(checker.getTypeOfSymbol(property), undefined, ts.TypeFormatFlags.NoTruncation),
        });
      }
      found.set(exported.name, properties);
    }
  }
  return found;
}
