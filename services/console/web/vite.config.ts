import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

export default defineConfig({
  base: '/',
  plugins: [vue()],
  define: {
    // The parts of vue-i18n this page does not use stay out of the bundle.
    __VUE_I18N_FULL_INSTALL__: false,
    __VUE_I18N_LEGACY_API__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
  },
  build: {
    outDir: 'dist',
    // No data: URIs, so a strict content security policy needs no exception for them.
    assetsInlineLimit: 0,
    // One eager bundle: a page left open for weeks must not ask a newer server for a chunk it no longer has.
    chunkSizeWarningLimit: 1200,
  },
  server: {
    proxy: { '/api': 'http://127.0.0.1:8080' },
  },
})
