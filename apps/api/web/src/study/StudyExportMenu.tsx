import { api, type StudyFormat } from "../lib/api";
import { saveResponse } from "../lib/clipboard";
import type { StudyAid } from "../lib/studyAids";
import { Icon } from "../ui/Icon";
import { Menu } from "../ui/Menu";
import { useToasts } from "../ui/Toasts";

const FORMATS: [StudyFormat, string, string][] = [
  ["md", "Markdown", ".md"],
  ["json", "JSON, with boxes", ".json"],
  ["csv", "CSV", ".csv"],
  ["apkg", "Anki", ".apkg"],
];
const FOR_CARDS: ReadonlySet<StudyFormat> = new Set<StudyFormat>(["csv", "apkg"]);

/** Saves a study aid in one of the formats. */
export function StudyExportMenu({ id, aid }: { id: string; aid: StudyAid }) {
  const { say, fail } = useToasts();
  const save = async (format: StudyFormat, suffix: string): Promise<void> => {
    try {
      await saveResponse(await api.exportStudyAid(id, aid.id, format), aid.kind + suffix);
      say("Saved.");
    } catch (error) {
      fail(error);
    }
  };
  return (
    <Menu
      label={`Export the ${aid.kind}`}
      className="button small"
      button={
        <>
          <Icon name="download" /> <Icon name="down" />
        </>
      }
      items={FORMATS.filter(([format]) => aid.kind === "flashcards" || !FOR_CARDS.has(format)).map(([format, label, hint]) => ({
        label,
        hint,
        onSelect: () => void save(format, hint),
      }))}
    />
  );
}
