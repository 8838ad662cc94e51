/** A process that does nothing but watch its event loop: the gaps it sees are the machine's own. */
import { processArgument, sendToParent } from './child-side.ts'
import { EventLoopProbe } from './event-loop-probe.ts'

export type IdleMessage = { readonly type: 'gap'; readonly longestGapMs: number }

processArgument<null>()
const probe = new EventLoopProbe()
process.on('message', () => sendToParent<IdleMessage>({ type: 'gap', longestGapMs: probe.longestGapMs }))
