/** Lets `act` run at once, then at most once per `gapMs`; calls in between are gathered into one at the end. */

export function throttled(act: () => unknown, gapMs: number): () => void {
  let last = Number.NEGATIVE_INFINITY
  let waiting: ReturnType<typeof setTimeout> | null = null

  function run(): void {
    waiting = null
    last = Date.now()
    act()
  }

  return () => {
    if (waiting !== null) return
    const left = last + gapMs - Date.now()
    if (left <= 0) run()
    else waiting = setTimeout(run, left)
  }
}
