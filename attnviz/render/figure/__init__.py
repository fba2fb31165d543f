"""Pictures as matplotlib figures: all heads or one head of a text, and the figures of heads over a corpus."""

from attnviz.render.figure.heads import draw_grid as draw_grid
from attnviz.render.figure.heads import draw_head as draw_head
from attnviz.render.figure.maps import draw_maps as draw_maps
from attnviz.render.figure.style import Style as Style
from attnviz.render.figure.style import Theme as Theme
from attnviz.render.figure.style import colormap as colormap
from attnviz.render.figure.style import save_figure as save_figure
from attnviz.render.figure.style import to_png as to_png
