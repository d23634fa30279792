"""The standing note that goes with every answer of a model whose labels are sensitive."""

STANDING_NOTE = (
    "A photograph cannot establish a person's ethnicity. This is a guess at how the data set's "
    "labellers would have tagged the picture; it must not be used for decisions about a person, "
    "for identification or for surveillance."
)
