import { useState } from "react";
import { api, type ExportFormat, type QuireDocument } from "../lib/api";
import { saveResponse } from "../lib/clipboard";
import { nameOf } from "../lib/format";
import { Icon } from "../ui/Icon";
import { Menu } from "../ui/Menu";
import { useToasts } from "../ui/Toasts";

const FORMATS: [ExportFormat, string, string][] = [
  ["txt", "Text", ".txt"],
  ["md", "Markdown", ".md"],
  ["json", "JSON, with boxes", ".json"],
  ["pdf", "PDF, searchable", ".pdf"],
  ["tables-xlsx", "Tables, as a workbook", ".tables.xlsx"],
  ["tables-csv", "Tables, as CSV", ".tables.csv"],
  ["tables-html", "Tables, as HTML", ".tables.html"],
  ["hocr", "hOCR", ".hocr"],
  ["alto", "ALTO", ".alto.xml"],
  ["overlay", "This page with its boxes", ".png"],
];

/** Saves the document in one of the formats. */
export function ExportMenu({ document, page }: { document: QuireDocument; page: number | null }) {
  const [busy, setBusy] = useState(false);
  const { say, fail } = useToasts();

  const save = async (format: ExportFormat, suffix: string): Promise<void> => {
    setBusy(true);
    say("Preparing the file …");
    try {
      const response = await api.export(document, format, format === "overlay" && page !== null ? page : undefined);
      await saveResponse(response, nameOf(document).replace(/\.\w+$/, "") + suffix);
      say("Saved.");
    } catch (error) {
      fail(error);
    } finally {
      setBusy(false);
    }
  };

  return (
    <Menu
      label="Export"
      className="button"
      disabled={document.pages_done === 0}
      button={
        <>
          <Icon name="download" />
          <span className="wide-only">{busy ? "Preparing …" : "Export"}</span>
          <Icon name="down" />
        </>
      }
      items={FORMATS.map(([format, label, hint]) => ({
        label,
        hint,
        disabled: busy || (format === "overlay" && page === null),
        onSelect: () => void save(format, hint),
      }))}
    />
  );
}

