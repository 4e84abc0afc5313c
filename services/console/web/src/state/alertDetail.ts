/** The selected alert in full: its reports and who has been told, refreshed as the stream speaks of it. */

import { ref, shallowRef, watch, type Ref } from 'vue'
import { api, ApiError } from '../api'
import type { AlertDetail, StreamEvents } from '../types'
import { throttled } from './throttled'

export function useAlertDetail(selected: Ref<string | null>) {
  const detail = shallowRef<AlertDetail | null>(null)
  const error = ref<ApiError | null>(null)

  async function load(): Promise<void> {
    const id = selected.value
    if (id === null) return
    try {
      const found = await api.alert(id)
      if (selected.value !== id) return
      detail.value = found
      error.value = null
    } catch (problem) {
      if (selected.value === id) error.value = problem as ApiError
    }
  }

  const refresh = throttled(load, 1000)

  watch(selected, () => {
    detail.value = null
    error.value = null
    void load()
  }, { immediate: true })

  function hearDelivery({ alert, ...delivery }: StreamEvents['delivery']): void {
    if (!detail.value || detail.value.id !== alert) return
    const others = detail.value.deliveries.filter((known) => known.id !== delivery.id)
    detail.value = { ...detail.value, deliveries: [...others, delivery] }
  }

  function hearAlert(id: string): void {
    if (id === selected.value) refresh()
  }

  return { detail, error, refresh, hearAlert, hearDelivery }
}
