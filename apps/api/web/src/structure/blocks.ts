/** Blocks as the API has them, and what people call them. */

import type { Box } from "../lib/api";

export interface TableCell {
  row: number;
  column: number;
  row_span: number;
  column_span: number;
  text: string;
  is_header: boolean;
}

export interface Table {
  rows: number;
  columns: number;
  cells: TableCell[];
}

export interface Block {
  type: string;
  polygon: Box;
  order: number | null;
  text: string;
  /** Indices of the page's lines. */
  lines: number[];
  table: Table | null;
  latex: string | null;
}

/** Blocks of one family share a colour. */
export type Family = "title" | "text" | "table" | "formula" | "picture" | "beside";

const KINDS: Record<string, [string, Family]> = {
  title: ["Title", "title"],
  heading: ["Heading", "title"],
  paragraph: ["Paragraph", "text"],
  abstract: ["Abstract", "text"],
  contents: ["Contents", "text"],
  reference: ["Reference", "text"],
  list: ["List", "text"],
  code: ["Code", "text"],
  table: ["Table", "table"],
  formula: ["Formula", "formula"],
  formula_number: ["Formula number", "formula"],
  figure: ["Figure", "picture"],
  chart: ["Chart", "picture"],
  seal: ["Seal", "picture"],
  caption: ["Caption", "picture"],
  header: ["Header", "beside"],
  footer: ["Footer", "beside"],
  footnote: ["Footnote", "beside"],
  page_number: ["Page number", "beside"],
  aside: ["Aside", "beside"],
};

export const nameOfBlock = ({ type }: Pick<Block, "type">): string => KINDS[type]?.[0] ?? "Other";
export const familyOf = ({ type }: Pick<Block, "type">): Family => KINDS[type]?.[1] ?? "beside";
export const isPicture = ({ type }: Pick<Block, "type">): boolean => ["figure", "chart", "seal"].includes(type);

/** Cells by row, empty rows included. */
export function rowsOf(table: Table): TableCell[][] {
  const rows: TableCell[][] = Array.from({ length: table.rows }, () => []);
  for (const cell of table.cells) rows[cell.row]?.push(cell);
  return rows;
}

/** The table as tab-separated text, which spreadsheets paste as cells. A cell of several places stands in its first. */
export function tableText(table: Table): string {
  const grid: string[][] = Array.from({ length: table.rows }, () => Array<string>(table.columns).fill(""));
  for (const { row, column, text } of table.cells) {
    const cells = grid[row];
    if (cells) cells[column] = text.replace(/\s+/g, " ");
  }
  return grid.map((cells) => cells.join("\t")).join("\n");
}
