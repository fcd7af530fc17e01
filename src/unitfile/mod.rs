//! TEXT → MODEL: reads unit files and says what is wrong with them, with place and caret. Pure.
