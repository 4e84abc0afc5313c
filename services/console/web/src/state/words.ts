/** How values are said in the reader's language: times, ages, levels, bilingual texts, numbers with units. */

import { computed } from 'vue'
import { useI18n } from 'vue-i18n'
import * as time from '../time'
import type { Text } from '../types'
import { useCounty } from './county'

export function useWords() {
  const { t, locale } = useI18n()
  const { clock, county } = useCounty()
  const language = computed(() => locale.value as time.Locale)

  function value(metric: string, reading: number): string {
    const unit = county.value?.metrics[metric]?.unit ?? ''
    return `${metric === 'rain' ? reading.toFixed(1) : +reading.toFixed(2)} ${unit}`
  }

  return {
    t,
    language,
    value,
    pick: (text: Text) => (language.value === 'en' ? text.en : text.zh),
    metric: (name: string) => {
      const known = county.value?.metrics[name]
      return known ? (language.value === 'en' ? known.en : known.zh) : name
    },
    moment: (iso: string, seconds = false) =>
      time.moment(Date.parse(iso), clock.now.value, language.value, seconds),
    duration: (ms: number) => time.duration(ms, language.value),
    age: (iso: string) => time.duration(clock.now.value - Date.parse(iso), language.value),
    /** How far back something looks. */
    window: (seconds: number) => time.span(seconds * 1000, language.value),
  }
}
