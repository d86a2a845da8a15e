import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `npm run dev` serves the sources and passes requests on to an API that runs here.
const API = process.env.QUIRE_API ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react()],
  // The browser has one policy for scripts and styles: files of this origin. Nothing may be inlined.
  build: { assetsInlineLimit: 0, target: "es2022", modulePreload: { polyfill: false } },
  server: { proxy: { "/api": API } },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
});
