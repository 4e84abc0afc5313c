/** Everything the console shows about the county, fetched once and then kept current by the stream. */

import { computed, inject, onScopeDispose, ref, shallowRef, type InjectionKey } from 'vue'
import { api } from '../api'
import type { County, RuleSet } from '../types'
import { useRulesDraft } from '../rules/draft'
import { useAlertBook } from './alertBook'
import { useAlertDetail } from './alertDetail'
import { useLivenessBook } from './livenessBook'
import { usePlace } from './place'
import { useServerClock } from './serverClock'
import { useStationBook } from './stationBook'
import { useStream } from './stream'
import { throttled } from './throttled'

const RETRY_MS = 4_000

export function useCountyState() {
  const county = shallowRef<County | null>(null)
  const ruleSet = shallowRef<RuleSet | null>(null)
  const rules = computed(() => ruleSet.value?.rules ?? [])
  const failing = ref(false)
  const place = usePlace()
  const alerts = useAlertBook()
  const stations = useStationBook()
  const liveness = useLivenessBook()
  const selectedAlert = computed(() => (place.value.view === 'alerts' ? place.value.id : null))
  const selectedStation = computed(() => (place.value.view === 'stations' ? place.value.id : null))
  const detail = useAlertDetail(selectedAlert)

  async function loadRules(): Promise<void> {
    ruleSet.value = await api.rules()
  }

  const rulesDraft = useRulesDraft(ruleSet)

  let ended = false
  onScopeDispose(() => (ended = true))
  const refetch = throttled(() => void load(), 2000)

  const stream = useStream({
    hello: ({ now, mode }) => {
      clock.mode.value = mode
      clock.set(now)
    },
    heartbeat: ({ now, newest_reading }) => {
      clock.set(now)
      if (newest_reading) stations.sawReadingOf(Date.parse(newest_reading))
    },
    readings: stations.hear,
    alert: (alert) => {
      alerts.hear(alert)
      detail.hearAlert(alert.id)
    },
    delivery: detail.hearDelivery,
    liveness: liveness.hear,
    reset: refetch,
    recovered: refetch,
    // A refused stream may mean that the session ended: asking says so, and a 401 leads to the login page.
    broken: () => void api.county().catch(() => {}),
  })
  const clock = useServerClock(stream.now)

  async function load(): Promise<void> {
    // After signing out a retry still under way must not go on asking.
    if (ended) return
    try {
      const found = await api.county()
      clock.mode.value = found.mode
      clock.set(found.now)
      county.value = found
      await Promise.all([alerts.load(), stations.load(), liveness.load(), loadRules()])
      detail.refresh()
      failing.value = false
    } catch {
      failing.value = true
      setTimeout(refetch, RETRY_MS)
    }
  }
  refetch()

  return {
    county, ruleSet, rules, loadRules, rulesDraft, failing, place, alerts, stations, liveness, selectedAlert, selectedStation, detail, stream, clock,
  }
}

export type CountyState = ReturnType<typeof useCountyState>
export const countyKey: InjectionKey<CountyState> = Symbol('county')

export function useCounty(): CountyState {
  const state = inject(countyKey)
  if (!state) throw new Error('useCounty() is for components inside the console page')
  return state
}
