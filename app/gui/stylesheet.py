"""The style sheet of every standard widget, written once for a set of colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from m2hf_core.config.paths import resources_dir

if TYPE_CHECKING:
    from app.gui.theme import Colours

_SHEET = """
QWidget#ground, QAbstractScrollArea#ground {{ background: {ground}; }}
QFrame#top, QFrame#side, QFrame#status, QWidget#panel, QScrollArea#panel {{ background: {panel};
    border: none; }}
QFrame#top {{ border-bottom: 1px solid {line}; }}
QFrame#status {{ border-top: 1px solid {line}; }}
QFrame#raised {{ background: {raised}; border-radius: 10px; }}
QFrame#field {{ background: {ground}; border: 1px solid {line}; border-radius: 10px; }}
QFrame#field[focused="true"] {{ border: 1px solid {accent}; }}
QFrame#field QLineEdit {{ background: transparent; border: none; font-size: 16px; color: {text};
    selection-background-color: {accent}; }}
QFrame#notice {{ background: {raised}; border: 1px solid {line}; border-radius: 8px; }}
QLabel#muted {{ color: {muted}; }}
QLabel#head {{ color: {muted}; font-size: 11px; font-weight: 600; }}
QLabel#title {{ font-size: 16px; font-weight: 600; }}
QSplitter::handle {{ background: {line}; }}
QPushButton {{ background: {raised}; border: 1px solid {line}; border-radius: 5px; padding: 4px 10px;
    color: {text}; }}
QPushButton:hover {{ border-color: {muted}; }}
QPushButton:focus {{ border-color: {accent}; }}
QPushButton:disabled {{ color: {muted}; }}
QPushButton#main {{ background: {button}; border: 1px solid {button}; color: #FFFFFF; padding: 6px 16px; }}
QPushButton#link {{ background: transparent; border: none; color: {link}; padding: 4px 0; text-align: left; }}
QPushButton#link:hover, QPushButton#link:focus {{ text-decoration: underline; }}
QPushButton#main:disabled {{ background: {raised}; border-color: {line}; color: {muted}; }}
QToolButton {{ background: transparent; border: 1px solid transparent; border-radius: 5px; padding: 4px;
    color: {muted}; }}
QToolButton:hover {{ background: {raised}; color: {text}; }}
QToolButton:focus {{ border-color: {accent}; }}
QToolButton:checked {{ background: {raised}; color: {text}; }}
QToolButton::menu-indicator {{ image: none; width: 0; }}
QMenu {{ background: {raised}; border: 1px solid {line}; border-radius: 8px; padding: 4px; }}
QMenu::item {{ padding: 5px 24px 5px 12px; border-radius: 5px; }}
QMenu::item:selected {{ background: {accent}; color: #FFFFFF; }}
QMenu::item:disabled {{ color: {muted}; background: transparent; }}
QMenu::separator {{ height: 1px; background: {line}; margin: 4px 8px; }}
QTreeView, QListView, QListWidget, QTableView {{ background: {panel}; border: none; outline: none; }}
QTreeView::item, QListView::item {{ border-radius: 5px; padding: 5px 6px; }}
QTreeView::item:hover, QListView::item:hover {{ background: {raised}; }}
QTreeView::item:selected, QListView::item:selected {{ background: {raised}; color: {text}; }}
QTreeView::item:focus, QListView::item:focus {{ border: 1px solid {accent}; padding: 4px 5px; }}
QTreeView::branch {{ background: transparent; }}
QPushButton#indented {{ background: transparent; border: none; color: {link}; padding: 4px 8px;
    text-align: left; }}
QPushButton#indented:hover, QPushButton#indented:focus {{ text-decoration: underline; }}
QPushButton#link:disabled, QPushButton#indented:disabled {{ color: {muted}; text-decoration: none; }}
QTextBrowser {{ background: transparent; border: none; selection-background-color: {accent}; }}
QComboBox {{ background: transparent; border: 1px solid transparent; border-radius: 5px; padding: 4px 8px;
    color: {text}; }}
QComboBox:hover, QComboBox:focus {{ background: {raised}; }}
QComboBox:focus {{ border-color: {accent}; }}
QComboBox::drop-down {{ border: none; width: 22px; }}
QComboBox::down-arrow {{ image: url("{icons}/combo.svg"); width: 14px; height: 14px; }}
QDialog QComboBox, QDialog QLineEdit {{ background: {ground}; border: 1px solid {line}; border-radius: 5px;
    padding: 5px 8px; }}
QDialog QLineEdit {{ padding: 5px 6px; }}
QDialog QLineEdit:focus, QDialog QComboBox:focus {{ border-color: {accent}; }}
QComboBox QAbstractItemView {{ background: {raised}; border: 1px solid {line};
    selection-background-color: {accent}; }}
QCheckBox {{ spacing: 8px; padding: 4px 8px; }}
QCheckBox::indicator {{ width: 12px; height: 12px; border: 1px solid {muted}; border-radius: 7px; }}
QCheckBox::indicator:checked {{ background: {accent}; border-color: {accent};
    image: url("{icons}/tick.svg"); }}
QRadioButton {{ spacing: 8px; padding: 4px 0; }}
QRadioButton::indicator {{ width: 12px; height: 12px; border: 1px solid {muted}; border-radius: 7px; }}
QRadioButton::indicator:checked {{ background: {accent}; border-color: {accent}; }}
QRadioButton:focus {{ color: {accent}; }}
QListWidget#boxed, QTextBrowser#boxed {{ background: {ground}; border: 1px solid {line}; border-radius: 5px;
    padding: 4px; }}
QTableView::item {{ padding: 4px 8px; }}
QTableView::item:selected {{ background: {raised}; color: {text}; }}
QCheckBox:focus {{ color: {accent}; }}
QProgressBar {{ background: {line}; border: none; border-radius: 2px; }}
QProgressBar::chunk {{ background: {accent}; border-radius: 2px; }}
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 2px; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 2px; }}
QScrollBar::handle {{ background: {line}; border-radius: 3px; min-height: 28px; min-width: 28px; }}
QScrollBar::handle:hover {{ background: {muted}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QHeaderView::section {{ background: {panel}; color: {muted}; border: none; border-bottom: 1px solid {line};
    padding: 4px 8px 4px 11px; }}
QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
QToolTip {{ background: {raised}; color: {text}; border: 1px solid {line}; padding: 4px; }}
"""


def stylesheet(colours: Colours) -> str:
    """For `QApplication.setStyleSheet`."""
    return _SHEET.format(
        icons=(resources_dir() / "icons").as_posix(),
        ground=colours.ground,
        panel=colours.panel,
        raised=colours.raised,
        line=colours.line,
        text=colours.text,
        muted=colours.muted,
        accent=colours.accent,
        # White words need a darker ground than the accent itself gives in the dark.
        button="#2F6FEB" if colours.dark else colours.accent,
        link=colours.accent,
    )
