import { IconButton } from "../ui/IconButton";
import { type Block, familyOf, isPicture, nameOfBlock, rowsOf, type Table, tableText } from "./blocks";
import { useBlockImage } from "./useBlockImage";

interface Props {
  id: string;
  number: number;
  blocks: readonly Block[];
  onSelect: (line: number) => void;
  onCopy: (text: string, what: string) => void;
}

/** The blocks of a page as they are read: text, tables as tables, formulas as LaTeX, pictures. */
export function BlockList({ id, number, blocks, onSelect, onCopy }: Props) {
  return (
    <ol className="block-list" aria-label="Blocks of the page">
      {blocks.map((block, index) => {
        const text = block.table ? tableText(block.table) : (block.latex ?? block.text);
        const first = block.lines[0];
        return (
          <li key={index} className={`block ${familyOf(block)}`}>
            <div className="block-head">
              {first === undefined ? (
                <span>{nameOfBlock(block)}</span>
              ) : (
                <button type="button" title="Show it on the page" onClick={() => onSelect(first)}>
                  {nameOfBlock(block)}
                </button>
              )}
              {text && <IconButton icon="copy" label={`Copy the ${nameOfBlock(block).toLowerCase()}`} onClick={() => onCopy(text, `The ${nameOfBlock(block).toLowerCase()}`)} />}
            </div>
            {block.table ? (
              <>
                {isPicture(block) && <Picture id={id} number={number} index={index} name={nameOfBlock(block)} />}
                <TableView table={block.table} />
              </>
            ) : block.latex ? (
              <code className="formula">{block.latex}</code>
            ) : (
              <>
                {isPicture(block) && <Picture id={id} number={number} index={index} name={nameOfBlock(block)} />}
                {block.text && <p>{block.text}</p>}
              </>
            )}
          </li>
        );
      })}
    </ol>
  );
}

function TableView({ table }: { table: Table }) {
  return (
    <div className="table-view" role="region" aria-label="Table" tabIndex={0}>
      <table>
        <tbody>
          {rowsOf(table).map((cells, row) => (
            <tr key={row}>
              {cells.map(({ column, row_span, column_span, text, is_header }) => {
                const Cell = is_header ? "th" : "td";
                return (
                  <Cell key={column} rowSpan={row_span} colSpan={column_span}>
                    {text}
                  </Cell>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Picture({ id, number, index, name }: { id: string; number: number; index: number; name: string }) {
  const { url, failed } = useBlockImage(id, number, index);
  if (failed) return <p className="soft">The picture could not be loaded.</p>;
  return url ? <img src={url} alt={name} /> : <span className="skeleton" />;
}
