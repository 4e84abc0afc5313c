/** How what stands in the rules is said where the API gives no words for it. */

import { useI18n } from 'vue-i18n'
import { useWords } from '../state/words'
import { duration } from '../time'

export function useRuleWords() {
  const { language } = useWords()
  const { t, te } = useI18n()
  const known = (key: string, name: string) => (te(`${key}.${name}`) ? t(`${key}.${name}`) : name)

  return {
    hazard: (name: string) => known('hazard', name),
    kind: (name: string) => known('ruleBook.kinds', name),
    who: (name: string) => known('ruleBook.by', name),
    /** Whence a version came: `console`, `version 3`. */
    source: (name: string) => {
      const [kind = '', rest] = name.split(' ')
      return kind === 'version' && rest ? t('ruleBook.from.version', { name: rest }) : known('ruleBook.from', name)
    },
    share: (value: number | null, interval?: [number, number] | null) => {
      if (value === null) return '–'
      return interval ? `${value.toFixed(2)} (${interval.map((end) => end.toFixed(2)).join('–')})` : value.toFixed(2)
    },
    /** How long a warning came before the event; a negative one came after. */
    lead: (seconds: number | null) => {
      if (seconds === null) return '–'
      return seconds < 0 ? `−${duration(-seconds * 1000, language.value)}` : duration(seconds * 1000, language.value)
    },
  }
}
