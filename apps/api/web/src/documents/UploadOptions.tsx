import { type ReactNode, useId } from "react";
import type { UploadForm } from "../lib/api";
import { KIND_NAMES, STUDY_KINDS } from "../lib/studyAids";

function Field({ label, hint, children }: { label: string; hint: string; children: (ids: { id: string; "aria-describedby": string }) => ReactNode }) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, "aria-describedby": `${id}-hint` })}
      <small id={`${id}-hint`}>{hint}</small>
    </div>
  );
}

/** How the next files are to be read. Empty fields leave it to the server's settings. */
export function UploadOptions({ form, onChange }: { form: UploadForm; onChange: (form: UploadForm) => void }) {
  const text = (name: keyof UploadForm) => ({
    value: form[name] ?? "",
    onChange: (event: { target: { value: string } }) => onChange({ ...form, [name]: event.target.value }),
  });
  return (
    <details className="upload-options">
      <summary>Options</summary>
      <div className="fields">
        <Field label="Pages" hint="Such as 1-3,7. All when empty.">
          {(ids) => <input {...ids} {...text("pages")} placeholder="All" autoComplete="off" spellCheck={false} />}
        </Field>
        <Field label="Languages" hint="Besides the server's own, such as fr, de.">
          {(ids) => <input {...ids} {...text("lang_hints")} placeholder="As set up" autoComplete="off" spellCheck={false} />}
        </Field>
        <Field label="What is read" hint="Structure: blocks, tables and pictures as well.">
          {(ids) => (
            <span className="select-field">
              <select {...ids} {...text("mode")}>
                <option value="">Lines of text</option>
                <option value="structure">Structure</option>
              </select>
            </span>
          )}
        </Field>
        <Field label="Turned pages" hint="Whether images of pages are turned upright first.">
          {(ids) => (
            <span className="select-field">
              <select {...ids} {...text("doc_orientation")}>
                <option value="">As they are</option>
                <option value="true">Turned upright</option>
              </select>
            </span>
          )}
        </Field>
        <Field label="Text in the file" hint="Whether a PDF's own text is used.">
          {(ids) => (
            <span className="select-field">
              <select {...ids} {...text("text_layer")}>
                <option value="">Where it is sound</option>
                <option value="never">Never: read every page</option>
                <option value="only">Nothing else</option>
              </select>
            </span>
          )}
        </Field>
        <Field label="Resolution" hint="Dots per inch for PDF pages, 36–600.">
          {(ids) => <input {...ids} {...text("dpi")} type="number" min={36} max={600} placeholder="As set up" />}
        </Field>
        <Field label="Least confidence" hint="0–1. Lines below are left out.">
          {(ids) => <input {...ids} {...text("min_confidence")} type="number" min={0} max={1} step={0.05} placeholder="As set up" />}
        </Field>
        <Field label="Priority" hint="Bulk waits for everything else.">
          {(ids) => (
            <span className="select-field">
              <select {...ids} {...text("priority")}>
                <option value="">Soon</option>
                <option value="bulk">Bulk</option>
              </select>
            </span>
          )}
        </Field>
        <FollowUps value={form.follow_ups ?? ""} onChange={(value) => onChange({ ...form, follow_ups: value })} />
      </div>
    </details>
  );
}

/** Study aids to make of the document; `value` names their kinds. */
function FollowUps({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const hint = useId();
  const chosen = value.split(",").filter(Boolean);
  return (
    <fieldset className="field follow-ups" aria-describedby={hint}>
      <legend>Study aids</legend>
      <div className="choices">
        {STUDY_KINDS.map((kind) => (
          <label key={kind} className="checkbox">
            <input
              type="checkbox"
              checked={chosen.includes(kind)}
              onChange={(event) => onChange(STUDY_KINDS.filter((one) => (one === kind ? event.target.checked : chosen.includes(one))).join())}
            />
            {KIND_NAMES[kind]}
          </label>
        ))}
      </div>
      <small id={hint}>A language model makes them when the document has been read.</small>
    </fieldset>
  );
}
