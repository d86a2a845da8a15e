import { type FormEvent, useEffect, useState } from "react";
import { nextTurn, stepZoom, type Turn, type Zoom } from "../lib/geometry";
import { nearestIndex } from "../lib/pageNumbers";
import { Icon } from "../ui/Icon";
import { IconButton } from "../ui/IconButton";
import { Menu } from "../ui/Menu";
import type { BoxMode } from "./PageView";

const BOX_NAMES: Record<BoxMode, string> = { lines: "Lines", words: "Words", off: "No boxes" };
const BOX_MODES = ["lines", "words", "off"] as const;

interface Props {
  numbers: readonly number[];
  current: number | null;
  onPage: (number: number) => void;
  zoom: Zoom;
  scale: number;
  onZoom: (zoom: Zoom) => void;
  turn: Turn;
  onTurn: (turn: Turn) => void;
  boxes: BoxMode;
  onBoxes: (boxes: BoxMode) => void;
}

/** Which page, how large, which way up, with what drawn over it. */
export function Toolbar(props: Props) {
  const { zoom, scale, onZoom, turn, onTurn, boxes, onBoxes } = props;
  return (
    <div className="toolbar" role="toolbar" aria-label="Page view">
      <PageChooser {...props} />
      <span className="toolbar-group">
        <IconButton icon="minus" label="Zoom out" onClick={() => onZoom(stepZoom(scale, -1))} />
        <output className="zoom" aria-label="Zoom">
          {Math.round(scale * 100)}%
        </output>
        <IconButton icon="plus" label="Zoom in" onClick={() => onZoom(stepZoom(scale, 1))} />
        <IconButton icon="fitPage" label="Fit the page" aria-pressed={zoom === "page"} onClick={() => onZoom("page")} />
        <IconButton icon="fitWidth" label="Fit the width" aria-pressed={zoom === "width"} onClick={() => onZoom("width")} />
        <IconButton icon="rotate" label="Turn the page" onClick={() => onTurn(nextTurn(turn, 90))} />
      </span>
      <Menu
        label={`Boxes: ${BOX_NAMES[boxes]}`}
        className="button small boxes-button"
        button={
          <>
            <Icon name="boxes" />
            <span className="wide-only">{BOX_NAMES[boxes]}</span>
            <Icon name="down" />
          </>
        }
        items={BOX_MODES.map((mode) => ({ label: BOX_NAMES[mode], checked: mode === boxes, onSelect: () => onBoxes(mode) }))}
      />
    </div>
  );
}

function PageChooser({ numbers, current, onPage }: Pick<Props, "numbers" | "current" | "onPage">) {
  const [typed, setTyped] = useState("");
  useEffect(() => setTyped(current === null ? "" : String(current)), [current]);
  const at = current === null ? 0 : nearestIndex(numbers, current);
  const [before, after, last] = [numbers[at - 1], numbers[at + 1], numbers.at(-1)];

  const submit = (event?: FormEvent): void => {
    event?.preventDefault();
    const number = numbers[nearestIndex(numbers, Number(typed) || 0)];
    if (number === undefined) return;
    setTyped(String(number));
    if (number !== current) onPage(number);
  };

  return (
    <form className="toolbar-group" onSubmit={submit}>
      <IconButton icon="left" label="Previous page" disabled={before === undefined} onClick={() => before !== undefined && onPage(before)} />
      <label className="page-chooser">
        <span className="visually-hidden">Page</span>
        <input
          inputMode="numeric"
          autoComplete="off"
          value={typed}
          disabled={numbers.length === 0}
          style={{ width: `${String(last ?? 1).length + 2}ch` }}
          onFocus={(event) => event.target.select()}
          onChange={(event) => setTyped(event.target.value.replace(/\D/g, ""))}
          onBlur={() => submit()}
        />
        <span>of {last?.toLocaleString("en-GB") ?? "–"}</span>
      </label>
      <IconButton icon="right" label="Next page" disabled={after === undefined} onClick={() => after !== undefined && onPage(after)} />
    </form>
  );
}
