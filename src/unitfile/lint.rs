//! Things that will probably not work as their author thinks.
