/** What cameras see of a fire, on the map: their bearings, where these meet, and how surely. */

import * as L from 'leaflet'
import type { Fix, Level, Station } from '../types'
import { bearing, destination, distance, ellipse } from './fireGeometry'

/** A bearing goes on beyond the fire by this share, so that it is seen to be a line of sight. */
const BEYOND = 1.12
/** The ellipse is drawn at one and at two sigma: the fire is as likely outside the first as within. */
const SIGMAS = [1, 2]

export interface Fire {
  fix: Fix
  level: Level | null
  cameras: Station[]
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
    const { fix, cameras, level } = fire
    const bounds = L.latLngBounds([[fix.latitude, fix.longitude]])
    for (const camera of cameras) {
      const course = bearing(camera, fix)
      const metres = distance(camera, fix)
      const end = destination(camera, course, metres * BEYOND)
      const middle = destination(camera, course, metres * 0.55)
      bounds.extend([camera.latitude, camera.longitude])
      layer.addLayer(
        L.polyline([[camera.latitude, camera.longitude], [end.latitude, end.longitude]], {
          className: 'bearing',
          interactive: false,
        }),
      )
      layer.addLayer(words(`${course.toFixed(0)}°`, [middle.latitude, middle.longitude], 'bearing-words', level))
    }
    for (const sigma of SIGMAS) {
      const outline = ellipse(fix, sigma).map(({ latitude, longitude }): [number, number] => [latitude, longitude])
      layer.addLayer(L.polygon(outline, { className: `ellipse sigma-${sigma}`, interactive: false }))
      bounds.extend(outline)
    }
    layer.addLayer(L.circleMarker([fix.latitude, fix.longitude], { radius: 5, className: 'fire-point', interactive: false }))
    layer.addLayer(words(fire.words, [fix.latitude, fix.longitude], 'fire-words', level))
    map.fitBounds(bounds.pad(0.2), { maxZoom: 13, animate: false })
  }
}
