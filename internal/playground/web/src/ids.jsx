import { useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { useEffect } from 'react';
import { withIds } from './examples.js';

// Ids puts the ids that the server told of into every tab whose variables still hold a
// placeholder. It shows nothing, and must be inside GraphiQL, whose tabs it changes.
// GraphiQL leaves the first tab's variables out of the editor: they are put there too.
export function Ids({ ids }) {
  const { moveTab } = useGraphiQLActions();
  const { tabs, activeTabIndex, variableEditor } = useGraphiQL((state) => ({
    tabs: state.tabs,
    activeTabIndex: state.activeTabIndex,
    variableEditor: state.variableEditor,
  }));
  useEffect(() => {
    if (!variableEditor) return;
    const typed = variableEditor.getValue();
    const meant = withIds(typed || tabs[activeTabIndex].variables || '', ids);
    const filled = tabs.map((tab, index) => {
      const variables = withIds(tab.variables, ids);
      return index === activeTabIndex || variables === tab.variables ? tab : { ...tab, variables };
    });
    // Moving tabs is how GraphiQL takes a new list of them; their order stays.
    if (filled.some((tab, index) => tab !== tabs[index])) moveTab(filled);
    if (meant !== typed) variableEditor.setValue(meant);
  }, [ids, variableEditor]);
  return null;
}
