/** The rules being edited: over which version, what has changed, what is wrong with it, and how it fared on the past. */

import { computed, onScopeDispose, ref, shallowRef, watch, type Ref } from 'vue'
import { ApiError } from '../api'
import type { RuleSet } from '../types'
import { changed, rebase, sameFiles } from './changes'
import { rulesApi, type Checked, type Files, type Replay, type ReplayWish } from './rulesApi'

const TYPING_MS = 500
const PROGRESS_MS = 1000

/** It outlives the panel: whoever looks at an alert meanwhile finds the edits again. */
export function useRulesDraft(current: Ref<RuleSet | null>) {
  const base = shallowRef<RuleSet | null>(null)
  const files = shallowRef<Files>({})
  const dirty = computed(() => base.value !== null && !sameFiles(base.value.files, files.value))
  /** The version that somebody else has put in force under the edits. */
  const moved = computed(() => {
    const [mine, theirs] = [base.value?.version.no, current.value?.version.no]
    return dirty.value && mine !== theirs ? (theirs ?? null) : null
  })

  function reset(): void {
    base.value = current.value
    files.value = { ...(current.value?.files ?? {}) }
  }
  watch(current, () => dirty.value || reset(), { immediate: true })

  /** The edits over the version that is in force now; the names of files that were changed by both. */
  function carryOver(): string[] {
    if (!base.value || !current.value) return []
    const laid = rebase(base.value.files, files.value, current.value.files)
    base.value = current.value
    files.value = laid.files
    return laid.both
  }

  function write(name: string, text: string): void {
    files.value = { ...files.value, [name]: text }
  }

  function remove(name: string): void {
    const { [name]: _, ...rest } = files.value
    files.value = rest
  }

  function revert(name: string): void {
    const text = base.value?.files[name]
    if (text === undefined) remove(name)
    else write(name, text)
  }

  return {
    base, files, dirty, moved, reset, carryOver, write, remove, revert,
    changed: computed(() => changed(base.value?.files ?? {}, files.value)),
    ...useCheck(files, dirty),
    ...useReplay(files),
  }
}

/** The server looks through what is typed, a moment after the last key. */
function useCheck(files: Ref<Files>, dirty: Ref<boolean>) {
  const checked = shallowRef<Checked | null>(null)
  const checking = ref(false)
  const checkError = ref<Error | null>(null)
  let typing: ReturnType<typeof setTimeout> | undefined

  async function check(): Promise<void> {
    const looked = files.value
    try {
      const found = await rulesApi.check(looked)
      if (files.value !== looked) return
      checked.value = found
      checkError.value = null
    } catch (problem) {
      if (files.value === looked) [checked.value, checkError.value] = [null, problem as Error]
    }
    checking.value = false
  }

  watch(files, () => {
    clearTimeout(typing)
    checkError.value = null
    checking.value = dirty.value
    if (dirty.value) typing = setTimeout(() => void check(), TYPING_MS)
    else checked.value = null
  })
  onScopeDispose(() => clearTimeout(typing))

  return {
    checked, checking, checkError, check,
    /** All is well with exactly what stands in the editor. */
    well: computed(() => !checking.value && checked.value !== null && !checked.value.faults.length),
  }
}

/** One run over the past at a time, with what it was run on. */
function useReplay(files: Ref<Files>) {
  const replay = shallowRef<Replay | null>(null)
  const tried = shallowRef<Files | null>(null)
  const replayError = ref('')
  let run = 0
  let running: string | null = null
  let waiting: ReturnType<typeof setTimeout> | undefined

  async function follow(id: string, mine: number): Promise<void> {
    try {
      const found = await rulesApi.replayed(id)
      if (mine !== run) return
      replay.value = found
      replayError.value = found.error ?? ''
      if (found.state !== 'waiting' && found.state !== 'running') return
    } catch (problem) {
      if (mine !== run) return
      replayError.value = (problem as Error).message
      // A run that the server no longer knows is over; a lost answer ends nothing there: ask again.
      if (problem instanceof ApiError && problem.status === 404) return void (replay.value = null)
    }
    if (mine === run) waiting = setTimeout(() => void follow(id, mine), PROGRESS_MS)
  }

  async function startReplay(wish: ReplayWish): Promise<void> {
    const mine = ++run
    clearTimeout(waiting)
    replayError.value = ''
    replay.value = { state: 'waiting', progress: 0 }
    tried.value = files.value
    try {
      const { id } = await rulesApi.replay(wish)
      if (mine !== run) return
      running = id
      await follow(id, mine)
    } catch (problem) {
      if (mine !== run) return
      replay.value = null
      replayError.value = (problem as Error).message
    }
  }

  async function cancelReplay(): Promise<void> {
    if (running === null) return
    try {
      await rulesApi.cancelReplay(running)
    } catch (problem) {
      replayError.value = (problem as Error).message
    }
  }

  onScopeDispose(() => {
    run++
    clearTimeout(waiting)
  })

  return {
    replay, replayError, startReplay, cancelReplay,
    /** The report speaks of what stands in the editor, not of something earlier. */
    reported: computed(() => replay.value?.state === 'done' && tried.value !== null && sameFiles(tried.value, files.value)),
    replaying: computed(() => replay.value?.state === 'waiting' || replay.value?.state === 'running'),
  }
}

export type RulesDraft = ReturnType<typeof useRulesDraft>
