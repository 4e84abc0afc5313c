/** The server's "now": ticking with the wall in live mode, standing at the newest event time in a replay. */

import { computed, ref, type Ref } from 'vue'
import type { Mode } from '../types'

export function useServerClock(localNow: Ref<number>) {
  const mode = ref<Mode>('live')
  const heard = ref({ server: Date.now(), local: Date.now() })

  const now = computed(() => {
    if (mode.value === 'event') return heard.value.server
    return heard.value.server + Math.max(0, localNow.value - heard.value.local)
  })

  return {
    mode,
    now,
    set(iso: string): void {
      heard.value = { server: Date.parse(iso), local: Date.now() }
    },
    /** What a moment on this machine's clock is on the server's; a replay has no such moment, so it stays. */
    fromLocal(local: number): number {
      return mode.value === 'event' ? local : local + heard.value.server - heard.value.local
    },
  }
}

export type ServerClock = ReturnType<typeof useServerClock>
