/** The page's language: remembered, else the browser's, else English. */

import { createI18n } from 'vue-i18n'
import type { Locale } from '../time'
import en from './en'
import zh from './zh'

const KEY = 'tongluo.language'

function preferred(): Locale {
  const remembered = localStorage.getItem(KEY)
  if (remembered === 'zh-CN' || remembered === 'en') return remembered
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en'
}

export const i18n = createI18n({
  legacy: false,
  locale: preferred(),
  fallbackLocale: 'en',
  messages: { 'zh-CN': zh, en },
})

export function speak(locale: Locale): void {
  i18n.global.locale.value = locale
  localStorage.setItem(KEY, locale)
  document.documentElement.lang = locale
}

document.documentElement.lang = i18n.global.locale.value
