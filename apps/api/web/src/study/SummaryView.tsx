import type { SummaryStyle, SummarySection } from "../lib/studyAids";
import { pagesText } from "../lib/studyAids";
import { Citations } from "./Citations";

/** A summary: sentences or points, by sections where it has them. */
export function SummaryView({ sections, style }: { sections: SummarySection[]; style: SummaryStyle | undefined }) {
  return (
    <div className={style === "short" ? "summary sentences" : "summary"}>
      {sections.map((section, index) => (
        <section key={index}>
          {(section.heading !== null || sections.length > 1) && (
            <h3>
              {section.heading ?? pagesText(section.first_page, section.last_page)}
              {section.heading !== null && <small>{pagesText(section.first_page, section.last_page)}</small>}
            </h3>
          )}
          <ul className="points">
            {section.points.map((point, number) => (
              <li key={number}>
                <p>{point.text}</p>
                <Citations citations={point.citations} of={`point ${number + 1}`} />
              </li>
            ))}
          </ul>
        </section>
      ))}
    </div>
  );
}
