import { STUDY_STATUS_NAMES, type StudyStatus } from "../lib/studyAids";

export function StudyBadge({ status }: { status: StudyStatus }) {
  return <span className={`badge ${status}`}>{STUDY_STATUS_NAMES[status]}</span>;
}
