import { describe, expect, it } from "vitest";
import { bounds, imageWidth, nextTurn, points, scaleOf, stepZoom, turned, turnRectangle } from "../src/lib/geometry";

const PAGE = { width: 1000, height: 2000 };
const VIEW = { width: 500, height: 500 };
const BOX = [
  [10, 20],
  [110, 25],
  [109, 60],
  [9, 55],
] as const;

describe("geometry", () => {
  it("fits a page as it is turned", () => {
    expect(scaleOf("width", PAGE, VIEW, 0)).toBe(0.5);
    expect(scaleOf("width", PAGE, VIEW, 90)).toBe(0.25);
    expect(scaleOf("page", PAGE, VIEW, 0)).toBe(0.25);
    expect(scaleOf(1.5, PAGE, VIEW, 0)).toBe(1.5);
    expect(scaleOf("page", PAGE, { width: 0, height: 0 }, 0)).toBeGreaterThan(0);
    expect(turned(PAGE, 270)).toEqual({ width: 2000, height: 1000 });
  });

  it("goes round when it turns", () => {
    expect([nextTurn(0, 90), nextTurn(270, 90), nextTurn(0, -90)]).toEqual([90, 0, 270]);
  });

  it("steps to the next zoom and stays within the limits", () => {
    expect([stepZoom(0.9, 1), stepZoom(1, 1), stepZoom(1, -1), stepZoom(9, 1), stepZoom(0.01, -1)]).toEqual([1, 1.25, 0.8, 4, 0.1]);
  });

  it("knows a box's points and its bounds", () => {
    expect(points(BOX)).toBe("10,20 110,25 109,60 9,55");
    expect(bounds(BOX)).toEqual({ left: 9, top: 20, right: 110, bottom: 60 });
  });

  it("turns a rectangle with its page: four quarters bring it back", () => {
    let page = { width: 100, height: 200 };
    let rectangle = { left: 10, top: 20, right: 30, bottom: 50 };
    expect(turnRectangle(rectangle, page, 90)).toEqual({ left: 150, top: 10, right: 180, bottom: 30 });
    expect(turnRectangle(turnRectangle(rectangle, page, 180), page, 180)).toEqual(rectangle);
    expect(turnRectangle(turnRectangle(rectangle, page, 90), turned(page, 90), 270)).toEqual(rectangle);
    for (let quarter = 0; quarter < 4; quarter += 1) {
      rectangle = turnRectangle(rectangle, page, 90);
      page = turned(page, 90);
    }
    expect(rectangle).toEqual({ left: 10, top: 20, right: 30, bottom: 50 });
  });

  it("asks for no more pixels than there are to see", () => {
    expect(imageWidth(300, 1, 2480)).toBe(320);
    expect(imageWidth(700, 2, 2480)).toBe(1600);
    expect(imageWidth(5000, 2, 1240)).toBe(1240);
    expect(imageWidth(10, 1, 20)).toBe(64);
  });
});
