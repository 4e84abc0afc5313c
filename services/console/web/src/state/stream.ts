/** The live stream: one EventSource, kept alive, with a verdict on whether the page can still be trusted. */

import { computed, onScopeDispose, reactive, ref } from 'vue'
import { STREAM_URL } from '../api'
import type { StreamEvents } from '../types'
import { isStale, SILENCE_LIMIT_MS, type StreamPulse } from './staleness'

export type StreamHandlers = { [Name in keyof StreamEvents]: (event: StreamEvents[Name]) => void } & {
  /** The stream came back after a break: whatever was missed must be fetched again. */
  recovered: () => void
  /** The stream was refused or cut; the session may be over. */
  broken: () => void
}

const EVENTS: (keyof StreamEvents)[] = ['hello', 'heartbeat', 'readings', 'alert', 'delivery', 'liveness', 'reset']
const REOPEN_MS = 3_000

export function useStream(handlers: StreamHandlers) {
  // Assumed connected at first, so that loading the page does not flash the banner.
  const pulse = reactive<StreamPulse>({ connected: true, lastEventAt: Date.now() })
  const now = ref(Date.now())
  let source: EventSource | null = null
  let openedAt = 0
  let interrupted = false

  function heard(): void {
    pulse.connected = true
    pulse.lastEventAt = now.value = Date.now()
    if (interrupted) {
      interrupted = false
      handlers.recovered()
    }
  }

  function lost(): void {
    pulse.connected = false
    interrupted = true
    handlers.broken()
  }

  function open(): void {
    source?.close()
    openedAt = Date.now()
    source = new EventSource(STREAM_URL)
    source.onerror = lost
    for (const name of EVENTS) {
      source.addEventListener(name, (event: MessageEvent<string>) => {
        handlers[name](JSON.parse(event.data))
        heard()
      })
    }
  }

  /** EventSource retries a dropped line by itself, but neither a refused one nor one that only went quiet. */
  function watchOver(): void {
    now.value = Date.now()
    if (!isStale(pulse, now.value)) return
    interrupted = true
    const refused = source?.readyState === EventSource.CLOSED && now.value - openedAt >= REOPEN_MS
    const quiet = now.value - Math.max(openedAt, pulse.lastEventAt) >= SILENCE_LIMIT_MS
    if (refused || quiet) open()
  }

  open()
  const ticking = setInterval(watchOver, 1000)
  onScopeDispose(() => {
    clearInterval(ticking)
    source?.close()
  })

  return {
    /** The local clock, ticking once a second. */
    now,
    lastEventAt: computed(() => pulse.lastEventAt),
    stale: computed(() => isStale(pulse, now.value)),
  }
}
