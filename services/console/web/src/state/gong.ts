/** The gong struck in the duty room when an alert is raised or worsens; off until asked for, remembered per browser. */

import { ref, watch } from 'vue'

const KEY = 'tongluo.gong'
// A gong's partials are not harmonic; these ratios and decays (s) give the shimmer.
const PARTIALS = [[1, 3.2], [1.48, 2.6], [2.07, 2.1], [2.71, 1.4], [3.6, 0.8]] as const
const FUNDAMENTAL_HZ = 196

function strike(context: AudioContext): void {
  const start = context.currentTime
  for (const [ratio, decay] of PARTIALS) {
    const tone = context.createOscillator()
    const loudness = context.createGain()
    tone.frequency.value = FUNDAMENTAL_HZ * ratio
    loudness.gain.setValueAtTime(0.22 / ratio, start)
    loudness.gain.exponentialRampToValueAtTime(0.0001, start + decay)
    tone.connect(loudness).connect(context.destination)
    tone.start(start)
    tone.stop(start + decay)
  }
}

export function useGong() {
  const on = ref(localStorage.getItem(KEY) === 'on')
  let context: AudioContext | null = null

  function sound(): void {
    if (!on.value) return
    context ??= new AudioContext()
    void context.resume().then(() => context && strike(context))
  }

  watch(on, () => {
    localStorage.setItem(KEY, on.value ? 'on' : 'off')
    sound()
  })
  return { on, sound }
}
