"""What many sites say together: fire, silence and compound rules, judged of the signals of the whole county in one order."""
