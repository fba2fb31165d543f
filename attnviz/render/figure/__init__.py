"""Pictures as matplotlib figures: heads of a text, lines between its words, and figures of heads."""

from attnviz.render.figure.alignment import draw_alignment as draw_alignment
from attnviz.render.figure.answer import draw_answer as draw_answer
from attnviz.render.figure.arcs import draw_arcs as draw_arcs
from attnviz.render.figure.difference import draw_difference as draw_difference
from attnviz.render.figure.fitting import smallest_fit as smallest_fit
from attnviz.render.figure.fonts import packages_for as packages_for
from attnviz.render.figure.grid import draw_grid as draw_grid
from attnviz.render.figure.head import draw_heads as draw_heads
from attnviz.render.figure.maps import draw_maps as draw_maps
from attnviz.render.figure.profile import draw_profile as draw_profile
from attnviz.render.figure.saving import VECTOR_CELLS as VECTOR_CELLS
from attnviz.render.figure.saving import Saved as Saved
from attnviz.render.figure.saving import save_figure as save_figure
from attnviz.render.figure.saving import to_png as to_png
from attnviz.render.figure.shading import draw_shading as draw_shading
from attnviz.render.figure.style import Style as Style
from attnviz.render.figure.style import Theme as Theme
from attnviz.render.figure.style import colormap as colormap
from attnviz.render.figure.style import style_of as style_of
from attnviz.render.figure.views import View as View
from attnviz.render.figure.views import choose_view as choose_view
from attnviz.render.figure.views import draw_two as draw_two
from attnviz.render.figure.views import draw_view as draw_view
from attnviz.render.figure.views import request_for as request_for
