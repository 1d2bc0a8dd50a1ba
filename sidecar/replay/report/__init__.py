"""A comparison as one HTML file that opens without a network: ``page`` is the document, the others are what stands in it.

Everything is text made by plain functions: curves are inline SVG, and there is no script. A plot is as wide as its reader's window: what is
drawn is stretched to it, while letters, dots and line widths are not, which is why places across are per cent and places down are pixels.
"""
