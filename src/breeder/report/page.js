for (const button of document.querySelectorAll("button[data-fold]")) {
  button.addEventListener("click", () => {
    for (const fold of button.closest("section").querySelectorAll("details")) {
      fold.open = button.dataset.fold === "open";
    }
  });
}
