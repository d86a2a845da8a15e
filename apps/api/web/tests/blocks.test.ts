import { describe, expect, it } from "vitest";
import { type Block, familyOf, isPicture, nameOfBlock, rowsOf, tableText } from "../src/structure/blocks";

const cell = (row: number, column: number, text: string, more = {}) => ({ row, column, row_span: 1, column_span: 1, text, is_header: false, ...more });
const TABLE = { rows: 3, columns: 2, cells: [cell(0, 0, "Item\nname", { column_span: 2 }), cell(2, 1, "12")] };

describe("blocks", () => {
  it("have a name and a colour, also those that are not known", () => {
    expect(nameOfBlock({ type: "page_number" })).toBe("Page number");
    expect(familyOf({ type: "chart" })).toBe("picture");
    expect(nameOfBlock({ type: "hologram" })).toBe("Other");
    expect(familyOf({ type: "hologram" } as Block)).toBe("beside");
    expect([isPicture({ type: "seal" }), isPicture({ type: "caption" })]).toEqual([true, false]);
  });

  it("show every row of a table", () => {
    expect(rowsOf(TABLE).map((cells) => cells.map(({ text }) => text))).toEqual([["Item\nname"], [], ["12"]]);
  });

  it("are copied as cells", () => {
    expect(tableText(TABLE)).toBe("Item name\t\n\t\n\t12");
  });
});
