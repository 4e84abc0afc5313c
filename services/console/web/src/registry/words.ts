/** How fields and values of the registry are said. */

import { useI18n } from 'vue-i18n'
import { useWords } from '../state/words'
import type { Version } from './registryApi'

const KINDS = ['county', 'division', 'township', 'gateway', 'site', 'station', 'responder']
const SIGNS = { added: '+', changed: '~', removed: '−' } as const

export function useRegistryWords() {
  const words = useWords()
  const { t, te } = useI18n()

  function part(name: string): string {
    return te(`registry.field.${name}`) ? t(`registry.field.${name}`) : words.metric(name)
  }

  return {
    ...words,
    /** `limits.rain.highest` as the reader knows it. */
    field: (dotted: string) => dotted.split('.').map(part).join(' · '),
    value: (value: unknown) => {
      if (value === null || value === undefined) return t('registry.unset')
      const text = Array.isArray(value) ? value.join('; ') : String(value)
      return text.length > 200 ? `${text.slice(0, 200)}…` : text
    },
    hint: (name: string) => (te(`registry.hint.${name}`) ? t(`registry.hint.${name}`) : ''),
    choice: (name: string) => (te(`station.kind.${name}`) ? t(`station.kind.${name}`) : t(`registry.kind.${name}`)),
    who: ({ who }: Version) => (te(`registry.by.${who}`) ? t(`registry.by.${who}`) : who),
    /** Whence a version came: `console`, `file stations.csv`, `version 3`. */
    source: ({ source }: Version) => {
      if (te(`registry.from.${source}`)) return t(`registry.from.${source}`)
      const [kind = '', ...name] = source.split(' ')
      return te(`registry.from.${kind}`) ? t(`registry.from.${kind}`, { name: name.join(' ') }) : source
    },
    summary: ({ summary }: Version) =>
      Object.entries(summary)
        .sort(([a], [b]) => KINDS.indexOf(a) - KINDS.indexOf(b))
        .map(([kind, counts]) => {
          const signed = Object.entries(counts).map(([what, n]) => `${SIGNS[what as keyof typeof SIGNS]}${n}`)
          return `${t(`registry.kind.${kind}`)} ${signed.join(' ')}`
        })
        .join(' · '),
  }
}
