/** Who is signed in. `unreachable` is kept apart from signed out: the officer must know which of the two it is. */

import { ref, shallowRef } from 'vue'
import { api, ApiError, onSignedOut } from '../api'
import type { Session } from '../types'

export type SessionState = 'unknown' | 'signed-out' | 'signed-in' | 'unreachable'

const RETRY_MS = 5_000

export function useSession() {
  const state = ref<SessionState>('unknown')
  const session = shallowRef<Session | null>(null)

  function leave(): void {
    session.value = null
    state.value = 'signed-out'
  }

  function enter(found: Session): void {
    session.value = found
    state.value = 'signed-in'
  }

  async function resume(): Promise<void> {
    try {
      enter(await api.session())
    } catch (problem) {
      if (problem instanceof ApiError && problem.status === 401) return leave()
      state.value = 'unreachable'
      setTimeout(() => state.value === 'unreachable' && resume(), RETRY_MS)
    }
  }

  async function signOut(): Promise<void> {
    await api.signOut().catch(() => {})
    leave()
  }

  onSignedOut(leave)
  void resume()

  return { state, session, enter, signOut }
}
