/** The Leaflet map of one county, told what to show; it knows nothing of Vue. */

import * as L from 'leaflet'
import { shortName } from '../divisions'
import type { Alert, County, Station } from '../types'
import { drawFire, type Fire } from './fireLayer'
import { drawGraticule } from './graticule'
import { alertRing, StationMarker, type StationLook } from './markers'
import { boxAround, drawTownships } from './townships'

/** Below this zoom the signs are drawn smaller. */
const FAR_ZOOM = 9.5
const SIGN_PX = 24

export interface MapChoices {
  station: (id: string) => void
  alert: (id: string) => void
}

export function drawCounty(box: HTMLElement, county: County, choices: MapChoices) {
  const map = L.map(box, {
    zoomSnap: 0.25,
    zoomDelta: 0.5,
    minZoom: 7,
    maxZoom: 15,
    attributionControl: false,
    zoomControl: false,
  })
  map.setView([county.townships[0]?.latitude ?? 28, county.townships[0]?.longitude ?? 120], 10)
  const redrawGraticule = drawGraticule(map)
  const townships = drawTownships(map, county.townships)
  const rings = L.layerGroup().addTo(map)
  const showFire = drawFire(map)
  const markers = new Map<string, StationMarker>()
  let shownStations: Station[] = []
  let shownAlerts: Alert[] = []
  let touched = false
  let atFire = false

  function placeLabels(): void {
    const far = map.getZoom() < FAR_ZOOM
    box.classList.toggle('far', far)
    const sign = far ? SIGN_PX * 0.65 : SIGN_PX
    const signs = shownStations.map((s) => boxAround(map.latLngToLayerPoint([s.latitude, s.longitude]), sign, sign))
    const rings = shownAlerts.map(({ site }) => {
      const at = map.latLngToLayerPoint([site.latitude, site.longitude])
      return boxAround(at.add([0, 36]), 14 * (shortName(site).length + 4), 22)
    })
    townships.placeLabels(new Set(shownAlerts.map(({ site }) => site.township.code)), [...signs, ...rings])
  }

  function fit(): void {
    touched = false
    if (townships.bounds.isValid()) map.fitBounds(townships.bounds, { padding: [12, 12], animate: false })
  }

  L.control.zoom({ position: 'topright' }).addTo(map)
  L.control.scale({ imperial: false, position: 'bottomleft' }).addTo(map)
  map.on('moveend', redrawGraticule)
  map.on('zoomend', placeLabels)
  // Once someone has moved the map, a change of its size must not move it back.
  for (const sign of ['mousedown', 'wheel', 'touchstart', 'keydown']) box.addEventListener(sign, () => (touched = true))
  const resizing = new ResizeObserver(() => {
    map.invalidateSize({ animate: false })
    if (!touched) fit()
    redrawGraticule()
  })
  resizing.observe(box)
  fit()

  return {
    fit,
    showStations(stations: Station[]): void {
      for (const marker of markers.values()) marker.remove()
      markers.clear()
      for (const station of stations) {
        markers.set(station.id, new StationMarker(map, station, () => choices.station(station.id)))
      }
      shownStations = stations
      placeLabels()
    },
    look(id: string, look: StationLook): void {
      markers.get(id)?.show(look)
    },
    showAlerts(alerts: Alert[], words: (alert: Alert) => string, selected: string | null): void {
      rings.clearLayers()
      for (const alert of alerts) {
        rings.addLayer(alertRing(alert, words(alert), alert.id === selected, () => choices.alert(alert.id)))
      }
      shownAlerts = alerts
      placeLabels()
    },
    /** The fire of the alert that is looked at; the map moves to show it whole, and back afterwards. */
    showFire(fire: Fire | null): void {
      if (!fire && atFire) fit()
      atFire = fire !== null
      touched ||= atFire
      showFire(fire)
    },
    /** Brings a place into view without moving more than needed. */
    reveal(latitude: number, longitude: number): void {
      map.panInside([latitude, longitude], { padding: [60, 60] })
    },
    remove(): void {
      resizing.disconnect()
      map.remove()
    },
  }
}

export type DrawnCounty = ReturnType<typeof drawCounty>
