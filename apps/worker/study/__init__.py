"""Study aids: summaries, flashcards and quizzes whose every item points at the words that it comes from.

Knows no queue and no database: pages and a language model in, a `quire.study_aids` model out.
"""
