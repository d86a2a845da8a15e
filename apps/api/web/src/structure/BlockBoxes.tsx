import { memo } from "react";
import type { Page } from "../lib/api";
import { points } from "../lib/geometry";
import { familyOf } from "./blocks";
import "../styles/structure.css";

/** The outlines of a page's blocks, by colour; behind its lines. */
export const BlockBoxes = memo(function BlockBoxes({ page }: { page: Page }) {
  if (!page.blocks?.length) return null;
  return (
    <g className="blocks">
      {page.blocks.map((block, index) => (
        <polygon key={index} data-block={index} className={familyOf(block)} points={points(block.polygon)} />
      ))}
    </g>
  );
});
