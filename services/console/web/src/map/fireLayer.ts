/** What cameras see of a fire, on the map: their bearings, where these meet, and how surely. */

import * as L from 'leaflet'
import type { Fix, Level, Station } from '../types'
import { destination, distance, ellipse } from './fireGeometry'

/** A bearing goes on beyond the fire by this share, so that it is seen to be a line of sight. */
const BEYOND = 1.12
/** How far a bearing is drawn that nothing crosses. */
const OPEN_M = 12_000
/** The ellipse is drawn at one and at two sigma: the fire is as likely outside the first as within. */
const SIGMAS = [1, 2]

export interface Fire {
  /** null: only bearings are known. */
  fix: Fix | null
  level: Level | null
  sights: { camera: Station; bearing: number }[]
  words: string
}

export function drawFire(map: L.Map) {
  const layer = L.layerGroup().addTo(map)

  function words(text: string, at: L.LatLngExpression, className: string, level: Level | null): L.Marker {
    const span = document.createElement('span')
    span.textContent = text
    span.dataset['level'] = level ?? 'none'
    const icon = L.divIcon({ className, html: span, iconSize: [0, 0] })
    return L.marker(at, { icon, interactive: false, keyboard: false, zIndexOffset: 900 })
  }

  return function show(fire: Fire | null): void {
    layer.clearLayers()
    if (!fire) return
    const { fix, level } = fire
    const bounds = L.latLngBounds([])
    for (const { camera, bearing } of fire.sights) {
      const metres = fix ? distance(camera, fix) * BEYOND : OPEN_M
      const end = destination(camera, bearing, metres)
      const middle = destination(camera, bearing, metres * 0.5)
      bounds.extend([camera.latitude, camera.longitude]).extend([end.latitude, end.longitude])
      layer.addLayer(
        L.polyline([[camera.latitude, camera.longitude], [end.latitude, end.longitude]], {
          className: 'bearing',
          interactive: false,
        }),
      )
      layer.addLayer(words(`${bearing.toFixed(0)}°`, [middle.latitude, middle.longitude], 'bearing-words', level))
    }
    if (fix) {
      for (const sigma of SIGMAS) {
        const outline = ellipse(fix, sigma).map(({ latitude, longitude }): [number, number] => [latitude, longitude])
        layer.addLayer(L.polygon(outline, { className: `ellipse sigma-${sigma}`, interactive: false }))
        bounds.extend(outline)
      }
      const at: [number, number] = [fix.latitude, fix.longitude]
      layer.addLayer(L.circleMarker(at, { radius: 5, className: 'fire-point', interactive: false }))
      layer.addLayer(words(fire.words, at, 'fire-words', level))
    }
    if (bounds.isValid()) map.fitBounds(bounds.pad(0.2), { maxZoom: 13, animate: false })
  }
}
